// Loads a picture before it is shown, so that the page never shows a broken image.

const TIMEOUT_MS = 60_000;

/** Returns the loaded picture, or `undefined` if it cannot be loaded within `TIMEOUT_MS`. */
export function loadPicture(url: string | undefined): Promise<HTMLImageElement | undefined> {
  if (url === undefined) return Promise.resolve(undefined);
  const picture = new Image();
  picture.referrerPolicy = "no-referrer";
  return new Promise((resolve) => {
    const end = (loaded: HTMLImageElement | undefined): void => {
      clearTimeout(late);
      resolve(loaded);
    };
    const late = setTimeout(end, TIMEOUT_MS, undefined);
    // Not `decode`: in a background tab it waits until the tab is visible.
    picture.onload = () => end(picture);
    picture.onerror = () => end(undefined);
    picture.src = url;
  });
}
