// Command floor counts Events with an ordinary client-go informer: what every Go exporter of events pays before it does
// anything with one. The benchmark divides by it, so that figures of different machines can be compared.
//
// Usage: floor URL COUNT
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// result has the fields that every subject of the benchmark prints.
type result struct {
	Events      int64   `json:"events"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	WallSeconds float64 `json:"wall_seconds"`
	MaxRSSKiB   int64   `json:"max_rss_kib"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: floor URL COUNT")
	}
	expected, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("COUNT: %w", err)
	}
	started := time.Now()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: args[0]})
	if err != nil {
		return err
	}

	var seen atomic.Int64
	done := make(chan struct{})
	count := func(any) {
		if seen.Add(1) == expected {
			close(done)
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Events().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    count,
		UpdateFunc: func(_, current any) { count(current) },
	}); err != nil {
		return err
	}
	stop := make(chan struct{})
	factory.Start(stop)
	<-done
	wall := time.Since(started)

	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result{
		Events:      seen.Load(),
		CPUSeconds:  seconds(usage.Utime) + seconds(usage.Stime),
		WallSeconds: wall.Seconds(),
		MaxRSSKiB:   usage.Maxrss,
	})
}

func seconds(t syscall.Timeval) float64 {
	return float64(t.Sec) + float64(t.Usec)/1e6
}
