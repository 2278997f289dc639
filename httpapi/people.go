package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/signin"
)

func (a *api) peopleRoutes(r *router) {
	add[personChangeIn, jsonOut[invitationBody]](r, operation{
		name: "invite-customer", method: post, path: "/v1/customers/{id}/invitation", tag: tagPeople, summary: "Let a customer choose a password",
		text: inviteText, action: guard.ManageCustomers, ok: []int{http.StatusCreated}, handle: a.atDoor(postInviteCustomer),
	})
	add[personChangeIn, jsonOut[endedBody]](r, operation{
		name: "end-customer-sessions", method: post, path: "/v1/customers/{id}/sessions/end", tag: tagPeople, summary: "Sign a customer out everywhere",
		text: againDone, action: guard.ManageCustomers, handle: a.atDoor(endPersonSessions(customerPerson)),
	})
	a.staffRoutes(r)
	a.operatorRoutes(r)
}

const inviteText = "Hand the invitation to them in a way that nobody else sees. Whoever has it chooses a password, once and within 24 hours; earlier invitations of theirs are " +
	"worth nothing any more. Until then their password and sessions stay as they are. With an Idempotency-Key the same request again is the same invitation."

func (a *api) staffRoutes(r *router) {
	add[readPeopleIn, jsonOut[peopleBody]](r, operation{
		name: "list-people", method: get, path: "/v1/merchants/{id}/people", tag: tagPeople, summary: "List the people of a merchant",
		action: guard.ManageMerchants, staff: signin.Manage, handle: a.atDoor(getPeople),
	})
	add[addPersonIn, jsonOut[PersonBody]](r, operation{
		name: "add-person", method: post, path: "/v1/merchants/{id}/people", tag: tagPeople, summary: "Add a person to a merchant",
		text:   "They sign in with an e-mail address, which nobody else may have who works for a merchant; it is kept as a keyed hash. Invite them, so that they can. " + againDone,
		action: guard.ManageMerchants, staff: signin.Manage, handle: a.atDoor(postPerson),
	})
	add[changePersonIn, jsonOut[PersonBody]](r, operation{
		name: "change-person", method: post, path: "/v1/merchants/{id}/people/{person}", tag: tagPeople, summary: "Give a person of a merchant another name or right",
		text: "Another right ends their sessions. " + againDone, action: guard.ManageMerchants, staff: signin.Manage, handle: a.atDoor(postPersonChange),
	})
	add[staffChangeIn, jsonOut[invitationBody]](r, operation{
		name: "invite-person", method: post, path: "/v1/merchants/{id}/people/{person}/invitation", tag: tagPeople, summary: "Let a person of a merchant choose a password",
		text: inviteText, action: guard.ManageMerchants, staff: signin.Manage, ok: []int{http.StatusCreated}, handle: a.atDoor(invitePerson(staffPerson)),
	})
	add[staffChangeIn, jsonOut[endedBody]](r, operation{
		name: "end-person-sessions", method: post, path: "/v1/merchants/{id}/people/{person}/sessions/end", tag: tagPeople, summary: "Sign a person of a merchant out everywhere",
		text: againDone, action: guard.ManageMerchants, staff: signin.Manage, handle: a.atDoor(endPersonSessions(staffPerson)),
	})
	add[staffChangeIn, jsonOut[peopleBody]](r, operation{
		name: "remove-person", method: post, path: "/v1/merchants/{id}/people/{person}/remove", tag: tagPeople, summary: "Take a person away from a merchant, with all their sessions",
		text: againDone, action: guard.ManageMerchants, staff: signin.Manage, handle: a.atDoor(removePerson(staffPerson)),
	})
}

func (a *api) operatorRoutes(r *router) {
	add[readSessionIn, jsonOut[peopleBody]](r, operation{
		name: "list-operators", method: get, path: "/v1/operators", tag: tagPeople, summary: "List the operators who can sign in",
		action: guard.ManageOperators, handle: a.atDoor(func(ctx context.Context, t *till) error { return t.sendPeople(ctx, t.Porter.Platform) }),
	})
	add[addOperatorIn, jsonOut[PersonBody]](r, operation{
		name: "add-operator", method: post, path: "/v1/operators", tag: tagPeople, summary: "Add an operator",
		text: "They sign in with a name. Invite them, so that they can. " + againDone, action: guard.ManageOperators, handle: a.atDoor(postOperator),
	})
	add[changeOperatorIn, jsonOut[PersonBody]](r, operation{
		name: "change-operator", method: post, path: "/v1/operators/{person}", tag: tagPeople, summary: "Give an operator another role, which ends their sessions",
		text: againDone, action: guard.ManageOperators, handle: a.atDoor(postOperatorChange),
	})
	add[operatorChangeIn, jsonOut[invitationBody]](r, operation{
		name: "invite-operator", method: post, path: "/v1/operators/{person}/invitation", tag: tagPeople, summary: "Let an operator choose a password",
		text: inviteText, action: guard.ManageOperators, ok: []int{http.StatusCreated}, handle: a.atDoor(invitePerson(operatorPerson)),
	})
	add[operatorChangeIn, jsonOut[endedBody]](r, operation{
		name: "end-operator-sessions", method: post, path: "/v1/operators/{person}/sessions/end", tag: tagPeople, summary: "Sign an operator out everywhere",
		text: againDone, action: guard.ManageOperators, handle: a.atDoor(endPersonSessions(operatorPerson)),
	})
	add[operatorChangeIn, jsonOut[peopleBody]](r, operation{
		name: "remove-operator", method: post, path: "/v1/operators/{person}/remove", tag: tagPeople, summary: "Take an operator away, with all their sessions",
		text: againDone, action: guard.ManageOperators, handle: a.atDoor(removePerson(operatorPerson)),
	})
}

type personChangeIn struct {
	NumberIn
	PathOwner
}

type readPeopleIn struct {
	PathOwner
	DeadlineIn
}

// PathPerson documents a path that names a person.
type PathPerson struct {
	Person string `path:"person" maxLength:"32" doc:"Id of the person; of an operator, the name"`
}

type staffChangeIn struct {
	NumberIn
	PathOwner
	PathPerson
}

type operatorChangeIn struct {
	NumberIn
	PathPerson
}

type addPersonIn struct {
	NumberIn
	PathOwner
	Body addPersonBody
}

type addPersonBody struct {
	Login string `json:"login" maxLength:"254" doc:"An e-mail address" example:"lina@tea.example"`
	Name  string `json:"name,omitempty" maxLength:"64"`
	Right string `json:"right" enum:"look,work,manage" doc:"look: sees. work: also makes trades, refunds, ships, has events delivered again. manage: also keys, apps, shops, webhooks, people and bank accounts"`
}

var addPersonMembers = []string{"login", "name", "right"}

type changePersonIn struct {
	NumberIn
	PathOwner
	PathPerson
	Body changePersonBody
}

type changePersonBody struct {
	Name  string `json:"name,omitempty" maxLength:"64"`
	Right string `json:"right" enum:"look,work,manage"`
}

var changePersonMembers = []string{"name", "right"}

type addOperatorIn struct {
	NumberIn
	Body addOperatorBody
}

type addOperatorBody struct {
	Name string `json:"name" minLength:"1" maxLength:"32" doc:"a-z, 0-9, -, . and _: what they sign in with" example:"li-na"`
	Role string `json:"role" enum:"reader,teller,operator"`
}

var addOperatorMembers = []string{"name", "role"}

type changeOperatorIn struct {
	NumberIn
	PathPerson
	Body changeOperatorBody
}

type changeOperatorBody struct {
	Role string `json:"role" enum:"reader,teller,operator"`
}

var changeOperatorMembers = []string{"role"}

// PersonBody is somebody who signs in.
type PersonBody struct {
	Person   string `json:"person" doc:"Id"`
	Name     string `json:"name,omitempty"`
	Login    string `json:"login,omitempty" doc:"The first letter and the domain of the e-mail address: it is kept as a hash, and cannot be shown" example:"l***@tea.example"`
	Right    string `json:"right,omitempty" enum:"look,work,manage" doc:"Of a merchant's person"`
	Role     string `json:"role,omitempty" enum:"reader,teller,operator" doc:"Of an operator"`
	Added    string `json:"added" format:"date-time"`
	Password bool   `json:"password" doc:"They have chosen one"`
	Passkeys int    `json:"passkeys" doc:"How many they have"`
}

type peopleBody struct {
	People []PersonBody `json:"people"`
}

type invitationBody struct {
	Invitation string `json:"invitation" doc:"It is stored nowhere" example:"hfi_2088000000010420_..."`
	Until      string `json:"until" format:"date-time"`
}

func personBodyOf(v *signin.Person) PersonBody {
	b := PersonBody{Person: v.ID, Name: v.Name, Login: v.Hint, Added: timeText(v.Added), Password: v.Hash != "", Passkeys: len(v.Passkeys)}
	switch v.Kind {
	case signin.Staff:
		b.Right = v.Right.String()
	case signin.Operator:
		b.Role = v.Role.String()
	}
	return b
}

// A finder tells whom the path of a request means.
type finder func(t *till) (signin.Who, error)

func customerPerson(t *till) (signin.Who, error) {
	o, err := t.x.pathOwner("id")
	return signin.CustomerPerson(o), err
}

func staffPerson(t *till) (signin.Who, error) {
	o, err := t.pathMerchant("id")
	if err == nil && o == t.Porter.Platform {
		err = edgeMalformed.field("id", "this is the platform, and no merchant")
	}
	return signin.Who{Owner: o, ID: t.x.r.PathValue("person")}, err
}

func operatorPerson(t *till) (signin.Who, error) {
	return t.Porter.OperatorPerson(t.x.r.PathValue("person")), nil
}

func postInviteCustomer(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	o, err := t.x.pathOwner("id")
	if err != nil {
		return err
	}
	seed, err := t.seed("invitation")
	if err != nil {
		return err
	}
	t.wrote = true // the person is made before
	token, v, err := t.Porter.InviteCustomer(ctx, o, seed, t.at)
	return t.sendInvitation(token, v, err)
}

func (t *till) sendInvitation(token string, v signin.Invitation, err error) error {
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusCreated, invitationBody{token, timeText(v.Until)})
}

func invitePerson(find finder) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) error {
		if err := t.x.emptyBody(); err != nil {
			return err
		}
		who, err := find(t)
		if err != nil {
			return err
		}
		seed, err := t.seed("invitation")
		if err != nil {
			return err
		}
		token, v, err := t.Porter.Invite(ctx, who, seed, t.at)
		return t.sendInvitation(token, v, err)
	}
}

func endPersonSessions(find finder) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) error {
		if err := t.x.emptyBody(); err != nil {
			return err
		}
		who, err := find(t)
		if err != nil {
			return err
		}
		if err := t.ended(who, t.Porter.EndAll(ctx, who, "", t.at)); err != nil {
			return err
		}
		return t.x.sendJSON(http.StatusOK, endedBody{true})
	}
}

func removePerson(find finder) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) error {
		if err := t.x.emptyBody(); err != nil {
			return err
		}
		who, err := find(t)
		if err != nil {
			return err
		}
		t.wrote = true // it takes two steps
		if err := t.ended(who, t.Porter.Remove(ctx, who, t.at)); err != nil {
			return err
		}
		return t.sendPeople(ctx, who.Owner)
	}
}

func getPeople(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if _, err := t.Merchant(ctx, o); err != nil {
		return err
	}
	return t.sendPeople(ctx, o)
}

func (t *till) sendPeople(ctx context.Context, o holdfast.Owner) error {
	list, err := t.Porter.People(ctx, o)
	if err != nil {
		return err
	}
	b := peopleBody{People: make([]PersonBody, len(list))}
	for i := range list {
		b.People[i] = personBodyOf(&list[i])
	}
	return t.x.sendJSON(http.StatusOK, b)
}

// sendPerson answers with somebody who was added or changed.
func (t *till) sendPerson(v signin.Person, err error) error {
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, personBodyOf(&v))
}

func (s *scanner) right() signin.Right {
	text := s.string(maxName)
	r, ok := signin.ParseRight(text)
	if !ok && s.fault == nil {
		s.fail("%s is not one of look, work, manage", printable(text))
	}
	return r
}

func (s *scanner) role() guard.Role { return parsed(s, guard.ParseRole) }

func postPerson(ctx context.Context, t *till) error {
	var ask signin.StaffAsk
	err := t.x.object(addPersonMembers, func(s *scanner, name string) {
		switch name {
		case "login":
			ask.Login = s.string(maxAlias)
		case "name":
			ask.Name = s.string(maxAlias)
		case "right":
			ask.Right = s.right()
		}
	})
	if err != nil {
		return err
	}
	if ask.Merchant, err = t.pathMerchant("id"); err != nil {
		return err
	}
	t.wrote = true // the address is claimed first
	return t.sendPerson(t.Porter.AddStaff(ctx, ask, t.at))
}

func postPersonChange(ctx context.Context, t *till) error {
	var name string
	var right signin.Right
	err := t.x.object(changePersonMembers, func(s *scanner, member string) {
		if member == "name" {
			name = s.string(maxAlias)
		} else {
			right = s.right()
		}
	})
	if err != nil {
		return err
	}
	who, err := staffPerson(t)
	if err != nil {
		return err
	}
	v, err := t.Porter.SetStaff(ctx, who, name, right, t.at)
	return t.sendPerson(v, t.ended(who, err))
}

func postOperator(ctx context.Context, t *till) error {
	var name string
	var role guard.Role
	err := t.x.object(addOperatorMembers, func(s *scanner, member string) {
		if member == "name" {
			name = s.string(maxAlias)
		} else {
			role = s.role()
		}
	})
	if err != nil {
		return err
	}
	return t.sendPerson(t.Porter.AddOperator(ctx, name, role, t.at))
}

func postOperatorChange(ctx context.Context, t *till) error {
	var role guard.Role
	if err := t.x.object(changeOperatorMembers, func(s *scanner, _ string) { role = s.role() }); err != nil {
		return err
	}
	who, err := operatorPerson(t)
	if err != nil {
		return err
	}
	v, err := t.Porter.SetOperator(ctx, who.ID, role, t.at)
	return t.sendPerson(v, t.ended(who, err))
}
