package scancode

import (
	"fmt"
	"image"
	"image/color"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/makiuchi-d/gozxing/qrcode"
)

const (
	payCode = "280000000212345678"
	address = "https://pay.example.com/q/0000000100100010203040506070809"
)

// scan reads what is in a picture, as another program does that knows nothing of this one.
func scan(t *testing.T, bars bool, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	reader := qrcode.NewQRCodeReader()
	if bars {
		reader = oned.NewCode128Reader()
	}
	result, err := reader.Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("no scanner reads this: %v", err)
	}
	return result.GetText()
}

// canvas is a light picture of so many modules, each some pixels wide.
func canvas(width, height int) (*image.Gray, func(x, y int)) {
	const scale = 3
	m := image.NewGray(image.Rect(0, 0, width*scale, height*scale))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	return m, func(x, y int) {
		for dy := range scale {
			for dx := range scale {
				m.SetGray(x*scale+dx, y*scale+dy, color.Gray{})
			}
		}
	}
}

var (
	viewBox = regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`)
	boxes   = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z`)
)

// paintSVG paints what an SVG says that is dark.
func paintSVG(t *testing.T, svg string) image.Image {
	t.Helper()
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	size := viewBox.FindStringSubmatch(svg)
	if size == nil {
		t.Fatalf("no size: %.100s", svg)
	}
	m, dot := canvas(number(size[1]), number(size[2]))
	dark := svg[strings.LastIndex(svg, "<path"):]
	for _, b := range boxes.FindAllStringSubmatch(dark, -1) {
		x, y, w, h := number(b[1]), number(b[2]), number(b[3]), number(b[4])
		if b[3] != b[5] {
			t.Fatalf("%s is no box", b[0])
		}
		for dy := range h {
			for dx := range w {
				dot(x+dx, y+dy)
			}
		}
	}
	return m
}

// paintLines paints what a terminal shows that writes light on dark.
func paintLines(t *testing.T, bars bool, lines []string) image.Image {
	t.Helper()
	across, down := 1, 2
	if bars {
		across, down = 2, 4
	}
	m, dot := canvas(len([]rune(lines[0]))*across, len(lines)*down)
	for y, line := range lines {
		for x, r := range []rune(line) {
			for sub := range 2 {
				if !strings.ContainsRune([]string{" ▄▐", " ▀▌"}[sub], r) {
					if !strings.ContainsRune("█▄▀▐▌", r) {
						t.Fatalf("%q is drawn", r)
					}
					continue
				}
				if !bars {
					dot(x, 2*y+sub)
					continue
				}
				for row := range down {
					dot(2*x+sub, down*y+row)
				}
			}
		}
	}
	return m
}

// TestWhatIsDrawnIsRead: a decoder that shares nothing with what draws reads the same text, from the SVG and off the terminal.
func TestWhatIsDrawnIsRead(t *testing.T) {
	for _, row := range []struct {
		text string
		bars bool
	}{{payCode, false}, {payCode, true}, {address, false}, {"289999999900000000", true}} {
		draw := QR
		if row.bars {
			draw = Bars
		}
		c, err := draw(row.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, row.bars, paintSVG(t, string(c.SVG()))); got != row.text {
			t.Errorf("the SVG of %s (bars: %t) reads %s", row.text, row.bars, got)
		}
		lines := c.Lines()
		if got := scan(t, row.bars, paintLines(t, row.bars, lines)); got != row.text {
			t.Errorf("the text of %s (bars: %t) reads %s", row.text, row.bars, got)
		}
		if wide := len([]rune(lines[0])); wide > 80 {
			t.Errorf("%s (bars: %t) needs %d columns: a terminal has 80", row.text, row.bars, wide)
		}
	}
}

// TestAScannerSeesADot: the test above would see a code that is drawn for another text.
func TestAScannerSeesADot(t *testing.T) {
	c, err := Bars(payCode)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Bars("280000000212345679")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(c.dark) == fmt.Sprint(other.dark) {
		t.Error("two texts are drawn alike")
	}
	if got := scan(t, true, paintSVG(t, string(other.SVG()))); got == payCode {
		t.Errorf("another code reads %s", got)
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	if _, err := QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text that is too long was drawn as a QR code")
	}
	if _, err := Bars("丁"); err == nil {
		t.Error("a text that is no ASCII was drawn as bars")
	}
}
