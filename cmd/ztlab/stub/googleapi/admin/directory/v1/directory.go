// Package admin stands in for the client of Google Workspace's directory, which Vault's
// jwt auth method links for one of its providers.
package admin

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// The scopes.
const (
	AdminDirectoryGroupReadonlyScope = "https://www.googleapis.com/auth/admin.directory.group.readonly"
	AdminDirectoryUserReadonlyScope  = "https://www.googleapis.com/auth/admin.directory.user.readonly"
)

var errNone = errors.New("the lab has no Google Workspace")

// NewService returns an error.
func NewService(context.Context, ...option.ClientOption) (*Service, error) { return nil, errNone }

// A Service cannot be had.
type Service struct {
	Groups *GroupsService
	Users  *UsersService
}

// A GroupsService lists groups.
type GroupsService struct{}

// List returns a call.
func (*GroupsService) List() *GroupsListCall { return new(GroupsListCall) }

// A GroupsListCall returns an error.
type GroupsListCall struct{}

// UserKey changes nothing.
func (c *GroupsListCall) UserKey(string) *GroupsListCall { return c }

// Domain changes nothing.
func (c *GroupsListCall) Domain(string) *GroupsListCall { return c }

// Fields changes nothing.
func (c *GroupsListCall) Fields(...string) *GroupsListCall { return c }

// Pages returns an error.
func (*GroupsListCall) Pages(context.Context, func(*Groups) error) error { return errNone }

// Groups are a page of groups.
type Groups struct{ Groups []*Group }

// A Group has an address.
type Group struct{ Email string }

// A UsersService reads users.
type UsersService struct{}

// Get returns a call.
func (*UsersService) Get(string) *UsersGetCall { return new(UsersGetCall) }

// A UsersGetCall returns an error.
type UsersGetCall struct{}

// Context changes nothing.
func (c *UsersGetCall) Context(context.Context) *UsersGetCall { return c }

// Projection changes nothing.
func (c *UsersGetCall) Projection(string) *UsersGetCall { return c }

// CustomFieldMask changes nothing.
func (c *UsersGetCall) CustomFieldMask(string) *UsersGetCall { return c }

// Fields changes nothing.
func (c *UsersGetCall) Fields(...string) *UsersGetCall { return c }

// Do returns an error.
func (*UsersGetCall) Do() (*User, error) { return nil, errNone }

// A User has fields of its own.
type User struct{ CustomSchemas map[string][]byte }
