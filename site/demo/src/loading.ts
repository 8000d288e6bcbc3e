// Loads a picture before it is shown, so that a broken one is never seen.

const TIMEOUT_MS = 60_000;

/** The loaded picture; `undefined` where there is none to be had. */
export async function loadPicture(url: string | undefined): Promise<HTMLImageElement | undefined> {
  if (url === undefined) return undefined;
  const picture = new Image();
  picture.referrerPolicy = "no-referrer";
  picture.src = url;
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, TIMEOUT_MS));
  const loaded = picture.decode().then(() => picture, () => undefined);
  return Promise.race([loaded, late]);
}
