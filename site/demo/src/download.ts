// Saves a picture as a file. It is on another origin, where a link's `download` has no effect, and this page's content
// security policy allows no request there. A canvas gives the pixels, if the picture's server allows other pages to read
// them (CORS).

/** Returns a file name made of a description. */
export function fileName(description: string): string {
  const words = description.normalize("NFKD").toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return `${words.slice(0, 6).join("-").slice(0, 60) || "picture"}.png`;
}

/** Saves the picture as a PNG. Returns false if its server does not allow that. */
export async function download(url: string, name: string): Promise<boolean> {
  const blob = await pixels(url).catch(() => undefined);
  if (blob === undefined) return false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the blob after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return true;
}

async function pixels(url: string): Promise<Blob | undefined> {
  const picture = new Image();
  picture.crossOrigin = "anonymous";
  picture.referrerPolicy = "no-referrer";
  picture.src = url;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? undefined), "image/png"));
}
