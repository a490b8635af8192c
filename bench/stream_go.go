// SPDX-License-Identifier: MIT

// stream_go.go - the same with goroutines and channels
package main

// #include "stream.h"
import "C"

import (
	"runtime"
	"unsafe"
)

func sum(items <-chan int64) C.long {
	total := int64(0)
	for i := range items {
		total += i
	}
	return C.long(total)
}

// Each source is a goroutine, and one item ahead.
//
//export peer_merge
func peer_merge(arg unsafe.Pointer, threads C.uint) {
	job := (*C.struct_stream_job)(arg)
	runtime.GOMAXPROCS(int(threads))
	out := make(chan int64)
	ends := make(chan bool)
	each := int64(job.n / job.sources)
	for s := int64(0); s < int64(job.sources); s++ {
		go func(first int64) {
			for i := first; i < first+each; i++ {
				out <- i
			}
			ends <- true
		}(s * each)
	}
	go func() {
		for s := int64(0); s < int64(job.sources); s++ {
			<-ends
		}
		close(out)
	}()
	job.sum = sum(out)
}

func spin(seed uint64, turns int) uint64 {
	for i := 0; i < turns; i++ {
		seed = seed*6364136223846793005 + 1442695040888963407
	}
	return seed
}

// A goroutine an item, 256 at a time; results in order, by a channel of channels.
//
//export peer_apply
func peer_apply(arg unsafe.Pointer, threads C.uint) {
	job := (*C.struct_stream_job)(arg)
	runtime.GOMAXPROCS(int(threads))
	n, turns := int64(job.n), int(job.turns)
	line := make(chan chan int64, 256)
	go func() {
		for i := int64(0); i < n; i++ {
			result := make(chan int64, 1)
			line <- result
			go func(i int64) {
				result <- int64(spin(uint64(i), turns) | 1)
			}(i)
		}
		close(line)
	}()
	total := int64(0)
	for result := range line {
		total += <-result
	}
	job.sum = C.long(total)
}

func main() {}
