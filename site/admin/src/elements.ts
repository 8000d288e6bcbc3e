// Makes elements. Texts of the API only ever become text, never markup.

/** Creates an element with a class and a text. */
export function create<Name extends keyof HTMLElementTagNameMap>(name: Name, className = "", text = ""): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className !== "") element.className = className;
  element.textContent = text;
  return element;
}

export function button(text: string, className: string, onClick: () => void): HTMLButtonElement {
  const element = create("button", className, text);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** Sets a text, and leaves an element alone that has it already: a selection in it stays. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
