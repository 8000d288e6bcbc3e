// The model that this page uses, and what can be chosen with it. Pure.
import type { Balance, Model } from "../../../clients/web/src/index.ts";

/** The model that the page prefers. A deployment without it offers the first that makes a picture from a description. */
const PREFERRED = "black-forest-labs/flux-kontext-max";

/** What the form offers. */
export interface Offer {
  model: string;
  /** The most that one picture costs, a decimal number. */
  credits: string;
  /** Values of `aspect_ratio`; empty if the model has no such input. */
  shapes: readonly string[];
  /** True if a picture can be uploaded to start from. */
  takesPicture: boolean;
}

/** Returns what to offer, or `undefined` if no model of the plan can be used with a description alone. */
export function offerOf(models: readonly Model[], knownShapes: readonly string[]): Offer | undefined {
  const usable = models.filter(({ input }) =>
    input["prompt"]?.type === "string" && Object.entries(input).every(([name, { required, default: value }]) => name === "prompt" || !required || value !== undefined));
  const model = usable.find(({ id }) => id === PREFERRED) ?? usable[0];
  if (model === undefined) return undefined;
  const { aspect_ratio: shape, input_image: picture } = model.input;
  const allowed = shape?.type === "string" ? (shape.enum ?? knownShapes) : [];
  return {
    model: model.id,
    credits: model.credits,
    shapes: knownShapes.filter((known) => allowed.includes(known)),
    takesPicture: picture?.type === "string" && picture.format === "file",
  };
}

/** Returns the sentence about price and credits. */
export function priceText({ credits }: Offer, balance: Balance | undefined): string {
  const price = `A picture costs up to ${inCredits(credits)}.`;
  if (balance === undefined) return price;
  const { credits_balance: left, daily_credits: daily } = balance;
  const rest = `You have ${left} of today’s ${daily} left`;
  return Number(left) < Number(credits) ? `${price} ${rest}: not enough until midnight UTC.` : `${price} ${rest}.`;
}

function inCredits(number: string): string {
  return Number(number) === 1 ? `${number} credit` : `${number} credits`;
}
