// Loads a picture before it is shown, so that a broken one is never seen.

const TIMEOUT_MS = 60_000;

/** The loaded picture; `undefined` where there is none to be had. */
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
    // Not `decode`: it waits until a tab in the background is looked at.
    picture.onload = () => end(picture);
    picture.onerror = () => end(undefined);
    picture.src = url;
  });
}
