package main

import (
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// What a terminal is taken for that does not tell its size.
const (
	usualColumns = 80
	usualRows    = 24
)

// sizeOf tells the size of a terminal. It is asked before every picture, because people pull at their windows.
func sizeOf(f *os.File) func() (columns, rows int) {
	return func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || columns < 1 || rows < 1 {
			return usualColumns, usualRows
		}
		return columns, rows
	}
}

const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	wrapOff     = "\x1b[?7l" // where a sign takes more cells than we think, the end of the line suffers, and not the picture
	wrapOn      = "\x1b[?7h"
	clearScreen = "\x1b[H\x1b[2J"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// sign cuts off what a line begins with: a colour, which takes no cell, or a sign in one.
func sign(line string) (first string, cells int) {
	if strings.HasPrefix(line, "\x1b[") {
		if end := strings.IndexByte(line, 'm'); end > 0 {
			return line[:end+1], 0
		}
	}
	_, n := utf8.DecodeRuneInString(line)
	return line[:n], 1
}

// cellsOf is how many cells a line takes on the screen.
func cellsOf(line string) (n int) {
	for line != "" {
		first, cells := sign(line)
		line, n = line[len(first):], n+cells
	}
	return n
}

// cut shortens a line to the cells there are, and shows that something is missing.
func cut(line string, room int) string {
	if cellsOf(line) <= room {
		return line
	}
	var b strings.Builder
	for used := 0; line != ""; {
		first, cells := sign(line)
		if used+cells >= room {
			break
		}
		b.WriteString(first)
		line, used = line[len(first):], used+cells
	}
	if room > 0 {
		b.WriteString("…")
	}
	if strings.Contains(b.String(), "\x1b[") {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// fitting is the first of several ways to say something for which there is room, or the last.
func fitting(room int, ways ...string) string {
	for _, w := range ways {
		if cellsOf(w) <= room {
			return w
		}
	}
	return ways[len(ways)-1]
}

// squeeze makes a picture as low as the screen is: the blank lines go first, then the end.
func squeeze(lines []string, rows int) []string {
	if len(lines) > rows {
		lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	}
	return lines[:min(len(lines), max(rows, 0))]
}
