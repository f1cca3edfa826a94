package assertdenied

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// tryAccess reads a path with the legitimate token, and asks Vault for the token's
// capabilities there. So it also finds a policy that allows a change but no
// reading, and changes nothing. Vault's help, which every valid token gets, is
// the control: the path exists, and the token is alive before and after.
func (v *attacker) tryAccess(ctx context.Context, a Attempt) error {
	path := a.Access.Path
	if err := v.us.Help(ctx, path); err != nil {
		return noControl("Vault explains "+path, err)
	}
	d := v.try(a, "Vault, "+path, fmt.Sprintf("the token was given help about %s", path))
	d.advice = fmt.Sprintf("take %s out of the token's policies: %s", path, v.control)
	said, err := v.read(ctx, path)
	if err != nil {
		return err
	}
	if !said.granted {
		allowed, known, err := v.capabilities(ctx, path)
		switch {
		case err != nil:
			return err
		case !known:
			d.record.Control += "; what it may do there besides reading could not be asked"
		case len(allowed) > 0:
			said = answer{status: http.StatusOK, text: "not to read, but to " + strings.Join(allowed, ", "), granted: true}
		}
	}
	d.judge(said, a.expect(noPermission))
	if d.record.Refused {
		if err := v.alive(ctx, path); err != nil {
			return err
		}
	}
	v.done(d)
	return nil
}

// read reads path. Anything that the policies let through counts as granted, even
// if there is nothing there or nothing can be read.
func (v *attacker) read(ctx context.Context, path string) (answer, error) {
	_, err := v.us.Read(ctx, path)
	var e *vaultkit.Error
	switch {
	case err == nil:
		return answer{status: http.StatusOK, text: "the token may read " + path, granted: true}, nil
	case errors.As(err, &e) && (e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound):
		return answer{status: e.Status, text: "the policies let the token through: " + strings.Join(e.Messages, "; "), granted: true}, nil
	}
	return refusal(err)
}

// capabilities returns the token's capabilities at path, if it may ask for them: a
// token without the default policy may not, and then only the reading counts.
func (v *attacker) capabilities(ctx context.Context, path string) (allowed []string, known bool, err error) {
	list, err := v.us.Capabilities(ctx, path)
	if err != nil {
		said, err := refusal(err)
		if err != nil {
			return nil, false, err
		}
		v.env.Logf("what the token may do at %s is not known: sys/capabilities-self answered %s", path, said)
		return nil, false, nil
	}
	return slices.DeleteFunc(list, func(c string) bool { return c == "deny" }), len(list) > 0, nil
}

// alive makes sure that a refusal was not that of a token which had ended.
func (v *attacker) alive(ctx context.Context, path string) error {
	if err := v.us.Help(ctx, path); err != nil {
		return fmt.Errorf("the token ended while it was used: %w", err)
	}
	return nil
}
