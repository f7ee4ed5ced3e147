// Who is in front of the page, and what he is told of what is not told to him.

/** The name of the user who is logged in; empty where nobody is. */
const { viewer } = document.body.dataset;

/** As records and lock-outs call him; empty where nobody is logged in. */
export const CALLER = viewer && `user ${viewer}`;

/** Why something is not told: a login helps only where nobody is logged in; `invitation` says what it would show. */
export function whyUntold(invitation) {
  return viewer ? gettext("This was not granted to you.") : invitation;
}
