package tlskit

import (
	"errors"
	"net/url"
)

// ParseURL reads an https URL that a proof can ask for.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	var ue *url.Error
	if errors.As(err, &ue) {
		return nil, errors.New("not a URL: " + ue.Err.Error())
	}
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https":
		return nil, errors.New("the URL must begin with https://")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.User != nil:
		return nil, errors.New("the URL must not contain a user or password")
	case u.Port() != "" && !validPort(u.Port()):
		return nil, errors.New("the URL's port is not a port number")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment = ""
	return u, nil
}
