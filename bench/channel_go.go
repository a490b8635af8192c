// SPDX-License-Identifier: MIT

// channel_go.go - the same with goroutines
package main

// #include "channel.h"
import "C"

import (
	"runtime"
	"unsafe"
)

//export peer_ping_pong
func peer_ping_pong(arg unsafe.Pointer, threads C.uint) {
	job := (*C.struct_channel_job)(arg)
	runtime.GOMAXPROCS(int(threads))
	there := make(chan int)
	back := make(chan int)
	n := int(job.n)
	go func() {
		for i := range there {
			back <- i
		}
	}()
	done := make(chan int)
	go func() {
		sum := 0
		for i := 0; i < n; i++ {
			there <- i
			sum += <-back
		}
		close(there)
		done <- sum
	}()
	job.sum = C.long(<-done)
}

//export peer_stream
func peer_stream(arg unsafe.Pointer, threads C.uint) {
	job := (*C.struct_channel_job)(arg)
	runtime.GOMAXPROCS(int(threads))
	c := make(chan int, int(job.capacity))
	n := int(job.n)
	go func() {
		for i := 0; i < n; i++ {
			c <- i
		}
		close(c)
	}()
	done := make(chan int)
	go func() {
		sum := 0
		for i := range c {
			sum += i
		}
		done <- sum
	}()
	job.sum = C.long(<-done)
}

func main() {}
