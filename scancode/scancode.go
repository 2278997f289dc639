// Package scancode draws codes that scanners read: QR codes, and Code 128 bar codes of the payment codes that customers show in shops. It draws them
// as SVG, for pages and apps, and as text, for terminals.
package scancode

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/code128"
	"github.com/boombuler/barcode/qr"
)

const (
	// QuietQR is the empty border around a QR code that ISO/IEC 18004 asks for, and quietBars that on either side of a bar code (ISO/IEC 15417), in
	// modules.
	QuietQR   = 4
	quietBars = 10
	// barsHeight is how high a bar code is drawn, in modules; a scanner has to cross it with one line.
	barsHeight = 40
)

// Code is a code with the empty border that it needs. It is one row high if it consists of bars.
type Code struct {
	Width, Height int // modules
	bars          bool
	dark          []bool
}

// QR is the QR code of a text, with level M: it reads with 15 % of it spoilt.
func QR(text string) (*Code, error) {
	drawn, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("draw a QR code: %w", err)
	}
	return framed(drawn, QuietQR, QuietQR), nil
}

// Bars is the Code 128 bar code of a text of ASCII characters. Eighteen digits take 154 modules with the border.
func Bars(text string) (*Code, error) {
	drawn, err := code128.Encode(text)
	if err != nil {
		return nil, fmt.Errorf("draw a bar code: %w", err)
	}
	c := framed(drawn, quietBars, 0)
	c.bars = true
	return c, nil
}

// framed takes the modules of a code, with a border on the sides and above and below.
func framed(drawn barcode.Barcode, sides, ends int) *Code {
	size := drawn.Bounds()
	c := &Code{Width: size.Dx() + 2*sides, Height: size.Dy() + 2*ends}
	c.dark = make([]bool, c.Width*c.Height)
	for y := range size.Dy() {
		for x := range size.Dx() {
			r, _, _, _ := drawn.At(size.Min.X+x, size.Min.Y+y).RGBA()
			c.dark[(y+ends)*c.Width+x+sides] = r < 0x8000
		}
	}
	return c
}

// Dark reports whether a module is dark. Around the code all is light.
func (c *Code) Dark(x, y int) bool {
	return x >= 0 && x < c.Width && y >= 0 && y < c.Height && c.dark[y*c.Width+x]
}

// Path is what is dark, as the d of an SVG path; a module is one unit wide.
func (c *Code) Path() string {
	high := 1
	if c.bars {
		high = barsHeight
	}
	var b strings.Builder
	for y := range c.Height {
		for x := 0; x < c.Width; x++ {
			from := x
			for c.Dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv%dh-%dz", from, y, x-from, high, x-from)
			}
		}
	}
	return b.String()
}

// SVG is a picture of the code by itself, with a light background, as large as whoever shows it wants.
func (c *Code) SVG() []byte {
	high := c.Height
	if c.bars {
		high = barsHeight
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, c.Width, high)
	fmt.Fprintf(&b, `<path fill="#fff" d="M0 0h%dv%dh-%dz"/><path d="%s"/></svg>`, c.Width, high, c.Width, c.Path())
	return b.Bytes()
}

// barLines is how many lines of text a bar code is high.
const barLines = 5

// Lines draws the code with the halves of characters: those of a QR code are two modules high, those of a bar code two wide. What is light is drawn,
// and what is dark is left out: so it is on a terminal that writes light on dark.
func (c *Code) Lines() (lines []string) {
	for y := 0; y < c.Height; y += 2 {
		var b strings.Builder
		if c.bars {
			for x := 0; x < c.Width; x += 2 {
				b.WriteRune(half(c.Dark(x, y), c.Dark(x+1, y), '▐', '▌'))
			}
			return slices.Repeat([]string{b.String()}, barLines)
		}
		for x := range c.Width {
			b.WriteRune(half(c.Dark(x, y), c.Dark(x, y+1), '▄', '▀'))
		}
		lines = append(lines, b.String())
	}
	return lines
}

// half is the character of two modules, of which the first, the second, both or none may be dark.
func half(first, second bool, lightSecond, lightFirst rune) rune {
	switch {
	case first && second:
		return ' '
	case first:
		return lightSecond
	case second:
		return lightFirst
	}
	return '█'
}
