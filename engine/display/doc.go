// Package display makes text from outside safe to show. Servers and files control
// parts of the text of a run, and terminals and CI systems execute some of it. All
// text passes through this package on its way out.
//
// # Escaping
//
//   - Control characters (C0, DEL, C1) but newline and tab, and bytes that are
//     not UTF-8: a terminal takes ESC and the C1 characters for commands.
//   - Characters that show nothing or change the order of others: bidirectional
//     controls, line separators, zero-width and tag characters. The two joiners
//     that scripts and emoji need stay.
//   - Workflow commands: a line that begins with ::command:: (GitHub Actions and
//     Forgejo), and ##[command], ##vso[…] and ##teamcity[…] anywhere (GitHub Actions,
//     Azure Pipelines, TeamCity).
//
// They appear as Go writes them in a string: \x1b, \u202e, \x3a:error::. A
// backslash that was there is kept as it is: this is for readers, and nothing
// reads it back. In JSON the escape is that of JSON, and the value stays the same.
//
// # Where
//
// Renderers for people take events through [Event] and documents through [Copy]
// before they add colours, Markdown or HTML of their own. Commands that print
// plain text write to a [Writer]. JSON goes through a [JSONWriter].
package display
