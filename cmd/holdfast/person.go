package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"holdfast"
	"holdfast/client"
)

func newPerson() *cobra.Command {
	return group("person", "Say who signs in: operators, people of merchants, customers",
		`Say who signs in. Whoever is added gets an invitation, a text that is good once and within a day: with it they choose a password ("holdfast person password",
or the page to sign in), which nobody else ever sees. An invitation is also for those who have forgotten theirs.

A person is named by what they sign in as and who they are: operator NAME; merchant NUMBER with the e-mail address (add) or the id (list shows it);
customer NUMBER. The API key is read from the environment: HOLDFAST_KEY. For operators it has to be one of an operator.`,
		newPersonAdd(), newPersonList(), newPersonInvite(), newPersonRemove(), newPersonPassword())
}

// invited is what add and invite answer with.
type invited struct {
	As         string    `json:"as"`
	Person     string    `json:"person,omitempty"`
	Invitation string    `json:"invitation"`
	Until      time.Time `json:"until"`
}

func (i *invited) tell(w io.Writer) {
	fmt.Fprintf(w, "Hand this to them in a way that nobody else sees. It is good once, until %s:\n\n  %s\n\nThey use it on the pages of any site, at /invitation (or /invitation#%[2]s, which leaves it in no log), or with holdfast person password.\n", i.Until.Local().Format(time.DateTime), i.Invitation)
}

// personCommand is a command about one person.
func personCommand(use, short, long, example string, args int, flags func(*cobra.Command), run func(ctx context.Context, c *client.Client, w io.Writer, args []string) (any, error)) *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use: use, Short: short, Long: short + ". " + long, Example: example,
		Args: func(cmd *cobra.Command, got []string) error {
			if len(got) != args || got[0] != "operator" && got[0] != "merchant" && got[0] != "customer" {
				return badUsage(cmd, fmt.Errorf("give operator, merchant or customer, and %d more: see the examples", args-1))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client()
			if err != nil {
				return err
			}
			defer c.Close()
			v, err := run(cmd.Context(), c, words(cmd, t.file), args)
			if err != nil {
				return err
			}
			return writeJSON(cmd, t.file, v)
		},
	}
	t.flags(cmd)
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

func newPersonAdd() *cobra.Command {
	var name, right, role, login string
	return personCommand("add (operator NAME | merchant NUMBER | customer NUMBER)", "Add somebody who signs in, and invite them",
		"Nobody chooses a password for others: they choose it themselves, with the invitation, which is shown once, good once, and ends after a day. Repeating it\nmakes another invitation, and the one before is void.",
		"  holdfast person add operator li-na --role operator\n  holdfast person add merchant 2088000000010420 --login lina@tea.example --name Lina --right manage\n  holdfast person add customer 2088000000020108",
		2, func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&role, "role", "reader", "of an operator: `ROLE` reader, teller or operator")
			cmd.Flags().StringVar(&login, "login", "", "of a merchant's person: the `ADDRESS` of e-mail to sign in with")
			cmd.Flags().StringVar(&name, "name", "", "of a merchant's person: `NAME` for people")
			cmd.Flags().StringVar(&right, "right", "look", "of a merchant's person: `RIGHT` look, work or manage")
		}, func(ctx context.Context, c *client.Client, w io.Writer, args []string) (any, error) {
			id := ""
			switch args[0] {
			case "operator":
				if _, err := c.AddOperator(ctx, args[1], role); err != nil {
					return nil, err
				}
			case "merchant":
				o, err := holdfast.ParseOwner(args[1])
				if err != nil {
					return nil, err
				}
				p, err := c.AddPerson(ctx, o, client.NewPerson{Login: login, Name: name, Right: right})
				if err != nil {
					return nil, err
				}
				id = p.ID
			}
			return invite(ctx, c, w, args, id)
		})
}

// invite invites whom the arguments name, or the person of a merchant with this id.
func invite(ctx context.Context, c *client.Client, w io.Writer, args []string, id string) (_ *invited, err error) {
	v := &invited{As: args[0], Person: id}
	if args[0] == "operator" {
		v.Person = args[1]
		v.Invitation, v.Until, err = c.InviteOperator(ctx, args[1])
	} else {
		var o holdfast.Owner
		if o, err = holdfast.ParseOwner(args[1]); err != nil {
			return nil, err
		}
		if args[0] == "merchant" {
			v.Invitation, v.Until, err = c.InvitePerson(ctx, o, id)
		} else {
			v.Invitation, v.Until, err = c.InviteCustomer(ctx, o)
		}
	}
	if err != nil {
		return nil, err
	}
	if id != "" {
		fmt.Fprintf(w, "Person %s.\n", id)
	}
	v.tell(w)
	return v, nil
}

// idFlag is how a person of a merchant is named.
func idFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "id", "", "of a merchant's person: the `ID` that list shows")
}

func newPersonInvite() *cobra.Command {
	var id string
	return personCommand("invite (operator NAME | merchant NUMBER --id ID | customer NUMBER)", "Invite somebody anew who has lost the invitation, or forgotten the password",
		"The password that they have stays good until they choose another one.",
		"  holdfast person invite operator li-na\n  holdfast person invite customer 2088000000020108", 2, func(cmd *cobra.Command) { idFlag(cmd, &id) },
		func(ctx context.Context, c *client.Client, w io.Writer, args []string) (any, error) {
			return invite(ctx, c, w, args, id)
		})
}

func newPersonRemove() *cobra.Command {
	var id string
	return personCommand("remove (operator NAME | merchant NUMBER --id ID | customer NUMBER)", "Take somebody away, with all their sessions; a customer is only signed out",
		"Their sessions end at once at the site that is asked, and within seconds at the others. Repeating it is done.",
		"  holdfast person remove operator li-na\n  holdfast person remove merchant 2088000000010420 --id k3wz2v5q", 2, func(cmd *cobra.Command) { idFlag(cmd, &id) },
		func(ctx context.Context, c *client.Client, w io.Writer, args []string) (v any, err error) {
			var o holdfast.Owner
			if args[0] != "operator" {
				if o, err = holdfast.ParseOwner(args[1]); err != nil {
					return nil, err
				}
			}
			switch args[0] {
			case "operator":
				v, err = c.RemoveOperator(ctx, args[1])
			case "merchant":
				v, err = c.RemovePerson(ctx, o, id)
			default:
				v, err = struct{}{}, c.SignOutCustomer(ctx, o)
			}
			if err == nil {
				fmt.Fprintln(w, "Done: within seconds no site lets them in any more.")
			}
			return v, err
		})
}

func newPersonList() *cobra.Command {
	var t target
	var merchant string
	cmd := &cobra.Command{
		Use: "list", Short: "List the operators, or the people of a merchant", Args: nothing,
		Long:    "List the operators, or the people of a merchant: who they are, what they may do, and how they sign in. Passwords and addresses are not shown.",
		Example: "  holdfast person list\n  holdfast person list --merchant 2088000000010420",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client()
			if err != nil {
				return err
			}
			defer c.Close()
			list, err := listPeople(cmd.Context(), c, merchant)
			if err != nil {
				return err
			}
			w := words(cmd, t.file)
			fmt.Fprintln(w, "PERSON           RIGHT     SIGNS IN WITH           NAME")
			for i := range list {
				p := &list[i]
				fmt.Fprintf(w, "%-16s %-9s %-23s %s\n", p.ID, p.Right+p.Role, ways(p), p.Name)
			}
			return writeJSON(cmd, t.file, list)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&merchant, "merchant", "", "list the people of the merchant with this `NUMBER`")
	return cmd
}

func listPeople(ctx context.Context, c *client.Client, merchant string) ([]client.Person, error) {
	if merchant == "" {
		return c.Operators(ctx)
	}
	o, err := holdfast.ParseOwner(merchant)
	if err != nil {
		return nil, err
	}
	return c.People(ctx, o)
}

// ways says how somebody can sign in.
func ways(p *client.Person) string {
	var list []string
	if p.Password {
		list = append(list, "password")
	}
	if p.Passkeys > 0 {
		list = append(list, fmt.Sprintf("%d passkeys", p.Passkeys))
	}
	if len(list) == 0 {
		return "nothing yet"
	}
	return strings.Join(list, ", ")
}

func newPersonPassword() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use: "password", Short: "Choose a password by an invitation", Args: nothing,
		Long: `Choose a password by an invitation. Invitation and password are read from the terminal, which does not show them, or from two lines of the input:
what stands on a command line can be seen by every user of the machine. It needs no API key.`,
		Example: "  holdfast person password\n  holdfast person password --site https://pay.example",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client.New(client.Config{Sites: strings.Split(t.site, ","), Timeout: 10 * time.Second, Hasty: true})
			if err != nil {
				return err
			}
			defer c.Close()
			ask := asker(cmd)
			invitation, err := ask("Invitation: ")
			if err != nil {
				return err
			}
			v, err := c.Invitation(cmd.Context(), invitation)
			if err != nil {
				return err
			}
			password, err := ask(fmt.Sprintf("New password, at least %d characters: ", v.PasswordShortest))
			if err != nil {
				return err
			}
			s, err := c.AcceptInvitation(cmd.Context(), client.Acceptance{Invitation: invitation, Password: password, How: client.How{Label: "holdfast person password"}})
			if err != nil {
				return err
			}
			if err := signOut(cmd.Context(), t.site, s.Token); err != nil {
				return err
			}
			fmt.Fprintf(words(cmd, t.file), "Done: sign in as %s with this password.\n", v.As)
			return writeJSON(cmd, t.file, v)
		},
	}
	t.flags(cmd)
	return cmd
}

// signOut ends the session that choosing a password opens: nobody needs it here.
func signOut(ctx context.Context, site, token string) error {
	c, err := client.New(client.Config{Sites: strings.Split(site, ","), Key: token, Timeout: 10 * time.Second, Hasty: true})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SignOut(ctx)
}

// asker asks for secrets: at a terminal without showing them, else line by line.
func asker(cmd *cobra.Command) func(prompt string) (string, error) {
	f, ok := cmd.InOrStdin().(*os.File)
	lines := bufio.NewScanner(cmd.InOrStdin())
	return func(prompt string) (string, error) {
		if ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprint(cmd.ErrOrStderr(), prompt)
			b, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			return string(b), err
		}
		if !lines.Scan() {
			return "", errors.Join(errors.New("the input ended: give the invitation and the password, a line each"), lines.Err())
		}
		return lines.Text(), nil
	}
}
