package signin

import "holdfast/pay"

// On is the same porter with other books to look at: those of one place, for instance, which may be of the past. It must not be asked to change
// anything.
func (p *Porter) On(b pay.Books) *Porter {
	on := *p
	on.Books = b
	return &on
}
