package wallet

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"holdfast/page"
)

// worker is the script that keeps a page with payment codes for when there is no network. It has to come from below /wallet, because browsers let a
// script keep only what is below its own address; and it names the files by their hashes, so that a new release is a new worker.
func (w *wallet) worker(_ context.Context, v *page.View, _ *http.Request) page.Answer {
	source, err := staticFiles.ReadFile("static/wallet-worker.js")
	if err != nil {
		return page.Answer{Status: http.StatusInternalServerError, Template: "sorry", Err: err}
	}
	files := []string{}
	for _, name := range []string{"holdfast.css", "wallet.css", "wallet.js", "wallet-draw.js", "wallet-code.js", "icon.svg"} {
		files = append(files, v.Static(name))
	}
	list, err := json.Marshal(files)
	if err != nil {
		return page.Answer{Status: http.StatusInternalServerError, Template: "sorry", Err: err}
	}
	return page.Answer{File: &page.File{Type: "text/javascript; charset=utf-8", Content: []byte(strings.Replace(string(source), "[/* files */]", string(list), 1))}}
}

// showOffline is the page that the worker keeps: it is the same for everybody, and what makes it somebody's stays in the browser.
func (w *wallet) showOffline(_ context.Context, v *page.View, _ *http.Request) page.Answer {
	return page.Answer{Template: "offline", Body: codePage{}}
}
