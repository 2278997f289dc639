package checkout

import (
	"fmt"

	"holdfast/scancode"
)

// quiet is the empty border around a QR code, in modules.
const quiet = scancode.QuietQR

// drawing is a picture as a page draws it.
type drawing struct {
	Size int    // width and height
	Path string // what is dark, as the d of an SVG path
}

// drawQR draws the QR code of a text.
func drawQR(text string) (drawing, error) {
	code, err := scancode.QR(text)
	if err != nil {
		return drawing{}, fmt.Errorf("checkout: %w", err)
	}
	return drawing{Size: code.Width, Path: code.Path()}, nil
}
