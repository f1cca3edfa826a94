package kubekit

// maxTries bounds how often an object that keeps changing is read in one look.
const maxTries = 10

// Again calls try until it is done or fails: the API server's answer about an object
// must be about the object as it was read, and controllers write to a new object all
// the time. The error is restless if the object has changed at every try.
func Again(restless error, try func() (done bool, err error)) error {
	for range maxTries {
		if done, err := try(); done || err != nil {
			return err
		}
	}
	return restless
}
