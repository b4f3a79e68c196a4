import { ApiError } from "./api.ts";
import { h } from "./dom.ts";

interface Confirmation {
  readonly heading: string;
  readonly text: string;
  /** What the button that does it says. */
  readonly verb: string;
  /** Resolves when it is done; an ApiError is shown, and can be tried again. */
  readonly act: () => Promise<void>;
}

/** Asks before something that cannot be taken back. Resolves with whether it was done. */
export function confirmAndDo({ heading, text, verb, act }: Confirmation): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const problem = h("p", { class: "reason", role: "alert" });
  const cancel = h("button", { type: "button", class: "button", autofocus: true }, "Cancel");
  const go = h("button", { type: "button", class: "button danger" }, verb);
  const title = h("h2", { id: "dialog-title" }, heading);
  const actions = h("div", { class: "dialog-actions" }, cancel, go);
  const dialog = h("dialog", { "aria-labelledby": title.id }, title, h("p", {}, text), problem, actions);
  let done = false;

  cancel.addEventListener("click", () => dialog.close());
  go.addEventListener("click", () => void run());
  dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(done);
  });
  document.body.append(dialog);
  dialog.showModal();
  return promise;

  async function run(): Promise<void> {
    go.disabled = true;
    try {
      await act();
      done = true;
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) reject(error);
      else problem.textContent = `${error.title} ${error.message}`;
    } finally {
      go.disabled = false;
    }
  }
}
