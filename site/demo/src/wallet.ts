// The models and shapes that the user may choose, the price of a picture, and the credits that are left.
import { type Balance, type Client, ValetkeyError } from "../../../clients/web/src/index.ts";
import { type Offer, offerOf } from "./offer.ts";

/** Shows the offer. `undefined`: it is not known. */
export interface WalletView {
  setOffer(offer: Offer | undefined, balance: Balance | undefined): void;
  readonly knownShapes: readonly string[];
}

export class Wallet {
  readonly #client: Pick<Client, "models" | "balance">;
  readonly #view: WalletView;
  #offer: Offer | undefined;

  constructor(client: Pick<Client, "models" | "balance">, view: WalletView) {
    this.#client = client;
    this.#view = view;
  }

  /** Returns the offer. Asks for it if it is not known. Rejects if no model of the plan fits this page. */
  async offer(): Promise<Offer> {
    this.#offer ??= offerOf((await this.#client.models()).data, this.#view.knownShapes);
    if (this.#offer === undefined) throw new ValetkeyError("model_not_allowed", "No model makes a picture from a description alone.");
    return this.#offer;
  }

  /** Shows the offer and the credits that are left. Errors are not shown: the create reports its own. */
  async refresh(): Promise<void> {
    try {
      const [offer, balance] = await Promise.all([this.offer(), this.#client.balance()]);
      this.#view.setOffer(offer, balance);
    } catch (thrown) {
      if (!(thrown instanceof ValetkeyError)) throw thrown;
    }
  }

  /** Forgets the offer, because another user's plan may have other models. */
  forget(): void {
    this.#offer = undefined;
    this.#view.setOffer(undefined, undefined);
  }
}
