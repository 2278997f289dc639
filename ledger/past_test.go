package ledger

import "errors"

var errNoEntry = errors.New("no such entry")
