package drill

import (
	"errors"
	"slices"
	"testing"

	"holdfast/client"
)

// Whoever does not know whether a plan was ordered applies the same one again; only a stale one is made anew.
func TestOrderedOnce(t *testing.T) {
	answers := []error{errors.New("no answer"), &client.Error{Code: "plan-stale"}, errors.New("no answer"), nil}
	plans, applied := 0, []string{}
	err := ordered(t.Context(), func() (string, error) {
		plans++
		return []string{"", "a", "b"}[plans-1], []error{errors.New("not now"), nil, nil}[plans-1]
	}, func(id string) error {
		applied = append(applied, id)
		return answers[len(applied)-1]
	})
	if want := []string{"a", "a", "b", "b"}; err != nil || !slices.Equal(applied, want) {
		t.Errorf("applied %v, want %v; %v", applied, want, err)
	}
}
