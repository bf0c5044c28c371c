// Loads a compose file as `docker compose` does and prints it: interpolated, merged, its references followed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func load(path string) (any, error) {
	options, err := cli.NewProjectOptions([]string{path},
		cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv, cli.WithConsistency(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func main() {
	project, err := load(os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(project)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
