package holdfast

import (
	"encoding/json"
	"testing"
)

func TestOwnersAndAssetsAsTexts(t *testing.T) {
	type pair struct {
		Owner Owner `json:"owner"`
		Asset Asset `json:"asset"`
	}
	for _, want := range []pair{{2088000000020108, MustAsset("CNY")}, {}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := pair{1, 1}
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s was read as %v, %v", text, got, err)
		}
	}
	for _, text := range []string{`{"owner":"2088000000020109"}`, `{"owner":2088000000020108}`, `{"asset":"cny"}`} {
		if err := json.Unmarshal([]byte(text), new(pair)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}
