//go:build !linux

package main

import "errors"

func setNice(int) error { return errors.ErrUnsupported }
