package drill

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"holdfast/client"
	"holdfast/proof"
)

// TestTheClientAsksForWhatAProofCovers: the client has its own copy of the words.
func TestTheClientAsksForWhatAProofCovers(t *testing.T) {
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Header.Get(proof.HeaderAsk):
		default:
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	c, err := client.New(client.Config{Sites: []string{server.URL}, Hedge: -1, Signed: func(client.Signed) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Fleet(t.Context()); err == nil {
		t.Fatal("an answer that says nothing was taken for a fleet")
	}
	if got := <-asked; got != proof.Ask {
		t.Errorf("the client asks for %q, a proof covers %q", got, proof.Ask)
	}
}
