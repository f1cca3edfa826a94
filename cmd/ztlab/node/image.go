package node

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"
)

// An Image names the component that runs where a container of an image would.
type Image struct {
	// Repository is an image reference without tag and digest; Docker Hub's
	// short forms are understood, so that "nginx" is
	// "docker.io/library/nginx". "*/name" is every repository whose last part is
	// name: mirrors keep that part of an image's name.
	Repository string
	// Component is the component's name.
	Component string
}

// anyRegistry begins a repository of which only the last part counts.
const anyRegistry = "*/"

// indexImages maps normalised repositories to components.
func indexImages(images []Image) (map[string]string, error) {
	index := map[string]string{}
	for _, i := range images {
		name := i.Repository
		if !strings.HasPrefix(name, anyRegistry) {
			var err error
			if name, err = repository(name); err != nil {
				return nil, fmt.Errorf("node: image %q: %w", i.Repository, err)
			}
		}
		if i.Component == "" {
			return nil, fmt.Errorf("node: image %q: no component named", i.Repository)
		}
		index[name] = i.Component
	}
	return index, nil
}

// repository returns the normalised repository of an image reference: with its
// registry, without tag and digest.
func repository(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	return named.Name(), nil
}

// component returns the built-in component for an image, or "" when there is
// none and the container is simulated.
func (a *Agent) component(image string) string {
	name, err := repository(image)
	if err != nil {
		return ""
	}
	return cmp.Or(a.images[name], a.images[anyRegistry+path.Base(name)])
}
