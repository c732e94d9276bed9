// SPDX-License-Identifier: BSD-2-Clause

// lend: how a program has usrpci prepare a device for it, and gives it back.
//
// usage: lend ADDR...
//
// The command does the work, this looks at the one object that it prints: what became of it, who
// had each device and who has it now, and its messages. See usrpci-json(7).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// setting returns what the environment says, or what is usual.
func setting(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

// What is in the way may end soon: a program that lets go of the device at this very moment.
var patience = setting("PATIENCE", "10")

type message struct {
	Level, Text  string
	Object, Hint *string
}

type device struct {
	Addr        string
	Was, Driver *string // nil: no driver
}

type answer struct {
	Schema   int
	Result   string
	Messages []message
	Devices  []device
}

func text(text *string) string {
	if text == nil {
		return "none"
	}
	return *text
}

// usrpci runs a command and returns its object. The exit status says no more than the result does.
func usrpci(arguments ...string) (*answer, error) {
	program := setting("USRPCI", "usrpci")
	output, failure := exec.Command(program, append([]string{"--json"}, arguments...)...).Output()
	got := new(answer)
	if err := json.Unmarshal(output, got); err != nil {
		return nil, fmt.Errorf("%s: no JSON: %v, %v", program, err, failure)
	}
	if got.Schema != 1 {
		return nil, fmt.Errorf("schema %d is not known here", got.Schema)
	}
	switch got.Result {
	case "done", "changed", "unchanged":
		return got, nil
	}
	said := got.Result
	for _, one := range got.Messages {
		said += "; " + text(one.Object) + ": " + one.Text
	}
	return nil, fmt.Errorf("%s", said)
}

func lend(addresses []string) error {
	got, err := usrpci(append([]string{"bind", "--wait", patience}, addresses...)...)
	if err != nil {
		return err
	}
	taken := []string{"restore", "--wait", patience}
	for _, one := range got.Devices {
		fmt.Printf("%s: %s -> %s (%s)\n", one.Addr, text(one.Was), text(one.Driver), got.Result)
		taken = append(taken, one.Addr)
	}
	// Here the devices are this program's. Whatever happens, they are given back.
	if got, err = usrpci(taken...); err == nil {
		fmt.Println("given back:", got.Result)
	}
	return err
}

func main() {
	if err := lend(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lend:", err)
		os.Exit(1)
	}
}
