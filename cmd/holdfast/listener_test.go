package main

import (
	"bytes"
	"strings"
	"sync"
)

// listener takes what a process says and closes done when it has said a word.
type listener struct {
	word string
	done chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	said bool
}

func newListener(word string) *listener { return &listener{word: word, done: make(chan struct{})} }

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if !l.said && strings.Contains(l.text.String(), l.word) {
		l.said = true
		close(l.done)
	}
	return len(p), nil
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
