package engine

// A Maker is a spec of a step that makes things in the target of the plan which other
// steps look for.
type Maker interface {
	// MayMake reports whether the step may make a thing, named as in [Env.MayCome]. done
	// says that the step is done: then only what others make of its things may still
	// appear. The inputs in unknown are zero. env is that of the step. It contacts
	// nothing.
	MayMake(env *Env, unknown []string, thing string, done bool) bool
}

// Hopeless reports whether a thing that is not there is not going to appear in this run;
// see [Env.MayCome].
func (e *Env) Hopeless(thing string) bool { return e.MayCome != nil && !e.MayCome(thing) }
