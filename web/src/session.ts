/** Who is signed in, in the corner of the page. Where nobody has to, there is nothing to see. */
import { ApiError, getSession, signIn, signOut, type Session } from "./api.ts";
import { announce, byId, h, toast } from "./dom.ts";

/** Shows the session, and from then on lets people sign in and out. `onChange` is told when somebody else asks: what is shown was for another. */
export async function startSession(onChange: () => void): Promise<void> {
  const corner = byId("session", HTMLElement);
  const show = (session: Session): void => {
    // Styles hide what the role may not do; the server refuses it anyway.
    document.documentElement.dataset["role"] = session.role;
    corner.replaceChildren(...(session.mode === "none" ? [] : session.user ? signedIn(session.user.name, leave) : [signInButton(enter)]));
  };
  const enter = (session: Session): void => {
    show(session);
    announce(`Signed in as ${session.user?.name ?? ""}.`);
    onChange();
  };
  const leave = async (): Promise<void> => {
    await signOut();
    show(await getSession());
    announce("Signed out.");
    onChange();
  };
  show(await getSession());
}

function signedIn(name: string, leave: () => Promise<void>): readonly HTMLElement[] {
  const out = h("button", { type: "button", class: "button quiet" }, "Sign out");
  out.addEventListener("click", () => {
    out.disabled = true;
    leave().catch((error: unknown) => {
      out.disabled = false;
      toast(error instanceof ApiError ? error.title : String(error));
    });
  });
  return [h("span", { class: "session-name" }, name), out];
}

function signInButton(enter: (session: Session) => void): HTMLElement {
  const button = h("button", { type: "button", class: "button" }, "Sign in");
  button.addEventListener("click", () => openDialog(enter));
  return button;
}

function openDialog(enter: (session: Session) => void): void {
  const name = h("input", {
    name: "name",
    autocomplete: "username",
    required: true,
    maxlength: 64,
    autocapitalize: "none",
    spellcheck: "false",
  });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 256 });
  const problem = h("p", { class: "reason", role: "alert" });
  const cancel = h("button", { type: "button", class: "button" }, "Cancel");
  const go = h("button", { type: "submit", class: "button primary" }, "Sign in");
  const title = h("h2", { id: "sign-in-title" }, "Sign in");
  const form = h(
    "form",
    { class: "sign-in" },
    h("label", {}, "Name", name),
    h("label", {}, "Password", password),
    problem,
    h("div", { class: "dialog-actions" }, cancel, go),
  );
  const dialog = h("dialog", { "aria-labelledby": title.id }, title, form);
  const submit = async (): Promise<void> => {
    go.disabled = true;
    try {
      enter(await signIn(name.value, password.value));
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.textContent = error.message || error.title;
      password.select();
    } finally {
      go.disabled = false;
    }
  };
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  document.body.append(dialog);
  dialog.showModal();
}
