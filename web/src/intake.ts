/** How files get in: the button, and dropping them anywhere on the page. */
import { byId } from "./dom.ts";

/** Opens the file picker; returns what else on the page may open it. */
export function startIntake(onFiles: (files: readonly File[]) => void): { readonly choose: () => void } {
  const input = byId("files", HTMLInputElement);
  const choose = () => input.click();
  byId("upload", HTMLButtonElement).addEventListener("click", choose);
  input.addEventListener("change", () => {
    onFiles([...(input.files ?? [])]);
    // The same file chosen again is to be a change again.
    input.value = "";
  });
  acceptDrops(onFiles);
  return { choose };
}

function acceptDrops(onFiles: (files: readonly File[]) => void): void {
  const curtain = byId("drop", HTMLElement);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    curtain.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    // Without a related target the pointer has left the window; with one it only went from element to element.
    if (event.relatedTarget === null) curtain.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    curtain.hidden = true;
    onFiles(droppedFiles(event.dataTransfer));
  });
}

/** Folders look like files there, and cannot be read. */
function droppedFiles(transfer: DataTransfer): File[] {
  return [...transfer.items]
    .filter((item) => item.kind === "file" && item.webkitGetAsEntry()?.isDirectory !== true)
    .map((item) => item.getAsFile())
    .filter((file) => file !== null);
}
