package checkout

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the empty border around a QR code that ISO/IEC 18004 asks for, in modules.
const quiet = 4

// drawing is a picture as a page draws it.
type drawing struct {
	Size int    // width and height
	Path string // what is dark, as the d of an SVG path
}

// drawQR draws the QR code of a text, with level M: it reads with 15 % of it spoilt.
func drawQR(text string) (drawing, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return drawing{}, fmt.Errorf("checkout: QR code: %w", err)
	}
	side := code.Bounds().Dx()
	var b strings.Builder
	for y := range side {
		for x := 0; x < side; x++ {
			from := x
			for x < side && dark(code.At(x, y).RGBA()) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return drawing{Size: side + 2*quiet, Path: b.String()}, nil
}

func dark(r, _, _, _ uint32) bool { return r < 0x8000 }
