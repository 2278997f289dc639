package drill

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"holdfast/client"
	"holdfast/site"
)

// Visitors are people who look at the fleet in a browser while it is being broken.
type Visitors struct {
	// Come is called when the fleet is up, before the load begins, which waits for it.
	Come func(ctx context.Context, d Door) error
	// Stay is called when everything has been proved. The fleet ends when it returns.
	Stay func(ctx context.Context, d Door, e *Evidence)
}

// Door is where they come in.
type Door struct {
	Site            string // base URL of the pages of the first site
	Login, Password string // of an operator; the fleet and its key end with the drill
	// Visited tells whether somebody has signed in.
	Visited func(ctx context.Context) (bool, error)
}

// visitor is what the operator is called.
const visitor = "visitor"

// A drill ends on the next morning of its clocks: nobody is to be thrown out by that.
const (
	visitIdle = 48 * time.Hour
	visitMost = 72 * time.Hour
)

// patientDoors lets sessions last for as long as the clocks of a drill go ahead.
func patientDoors(configs []site.Config) {
	for i := range configs {
		configs[i].SignIn.StrictIdle, configs[i].SignIn.Idle, configs[i].SignIn.Longest = site.Duration(visitIdle), site.Duration(visitIdle), site.Duration(visitMost)
	}
}

// receive lets somebody in, through the API: as an operator who was invited and has chosen a password. There is no other way in, also here.
func (r *run) receive(ctx context.Context) error {
	if r.o.Visitors == nil {
		return nil
	}
	r.view.say("letting visitors in")
	d := Door{Site: r.fleet.sites[0].url, Login: visitor, Password: strings.ToLower(rand.Text()[:16])}
	c := r.load.clients[0]
	var in client.SignedIn
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := c.AddOperator(ctx, visitor, "operator")
			return err
		},
		func(ctx context.Context) error {
			invitation, _, err := c.InviteOperator(ctx, visitor)
			if err == nil {
				in, err = c.AcceptInvitation(ctx, client.Acceptance{Invitation: invitation, Login: visitor, Password: d.Password, How: client.How{Label: "the drill"}})
			}
			return err
		},
	} {
		if err := tillAnswered(ctx, step); err != nil {
			return fmt.Errorf("let visitors in: %w", err)
		}
	}
	d.Visited = func(ctx context.Context) (bool, error) {
		list, err := c.Sessions(client.WithKey(ctx, in.Token))
		return len(list) > 1, err // one is ours
	}
	r.door = d
	return r.o.Visitors.Come(ctx, d)
}

// see shows the end to whoever has come.
func (r *run) see(ctx context.Context, e *Evidence) {
	if r.o.Visitors != nil {
		r.o.Visitors.Stay(ctx, r.door, e)
	}
}
