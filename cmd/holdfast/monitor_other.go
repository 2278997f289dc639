//go:build !linux

package main

import "errors"

func easeMonitor() error { return errors.ErrUnsupported }
