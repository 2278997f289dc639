//go:build !planted

package site

// Faults can be planted into builds with the tag "planted", to show that they are found; see planted_on.go.

func plantedNameAgain() bool   { return false }
func plantedNameUnasked() bool { return false }
