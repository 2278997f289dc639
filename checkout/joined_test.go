package checkout

import (
	"holdfast/desk"
	"holdfast/pay"
)

// What serves the page is made of these.
var (
	_ Cashier = (*pay.Cashier)(nil)
	_         = Config{Return: (*desk.Desk)(nil).Return}
)
