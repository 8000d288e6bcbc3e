// Functions that the views share.

/** Returns the element of index.html with this id. Throws if it is missing or has another type. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`#${id} is missing`);
  return found;
}

/** Enables a button. Uses `aria-disabled`, because a `disabled` button would lose the focus of a keyboard user. */
export function setEnabled(button: HTMLButtonElement, isEnabled: boolean): void {
  if (isEnabled) button.removeAttribute("aria-disabled");
  else button.setAttribute("aria-disabled", "true");
}

/** Shows an error next to a field. An empty text removes it. */
export function setFieldError(field: HTMLElement, line: HTMLElement, text: string): void {
  if (line.textContent !== text) line.textContent = text;
  line.hidden = text === "";
  if (text === "") field.removeAttribute("aria-invalid");
  else field.setAttribute("aria-invalid", "true");
}
