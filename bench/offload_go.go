// SPDX-License-Identifier: MIT

// offload_go.go - the same with goroutines: a call into C that may block gets a thread
package main

// #include "offload.h"
import "C"

import (
	"sync"
	"unsafe"
)

func chain(job *C.struct_offload_job) {
	back := make(chan bool)
	for i := job.calls / job.at_once; i > 0; i-- {
		C.offload_pause(job)
		go func() {
			C.offload_call(job)
			back <- true
		}()
		<-back
	}
}

//export peer_offload
func peer_offload(arg unsafe.Pointer, _ C.uint) {
	job := (*C.struct_offload_job)(arg)
	var all sync.WaitGroup
	for i := C.long(0); i < job.at_once; i++ {
		all.Add(1)
		go func() {
			chain(job)
			all.Done()
		}()
	}
	all.Wait()
}

func main() {}
