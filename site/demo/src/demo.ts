// Entry point of the demo page: connects the form, the stage, the gallery and the panel to one client.
import { type GetToken, valetkey } from "../../../clients/web/src/index.ts";
import { ComposerView } from "./composer-view.ts";
import { backOnline, Connection } from "./connection.ts";
import { Creator } from "./creation.ts";
import { element } from "./dom.ts";
import { GalleryView } from "./gallery-view.ts";
import { Gallery } from "./gallery.ts";
import { guestTokens } from "./guest.ts";
import { HappenedPanel } from "./happened-view.ts";
import { Happened } from "./happened.ts";
import { problemText } from "./messages.ts";
import { PastedToken } from "./pasted.ts";
import { Person } from "./person.ts";
import { PictureField } from "./picture-field.ts";
import { sessionTokens } from "./session.ts";
import { loadSettings, type Settings } from "./settings.ts";
import { StageView } from "./stage-view.ts";
import { Stage } from "./stage.ts";
import { Tabs } from "./tabs.ts";
import { TokenForm } from "./token-form.ts";
import { Wallet } from "./wallet.ts";

/** A longer `Retry-After` is shown to the user instead of waited for, seconds. */
const LONGEST_WAIT_SECS = 30;

/** How this page gets tokens. */
interface Source {
  getToken: GetToken;
  /** Returns false while there can be no pictures to list. */
  mayHavePictures: () => boolean;
  /** True if the page has to wait for the visitor before it can get a token. */
  waits: boolean;
}

const person = new Person(() => localStorage);
const connection = new Connection();
const composer = new ComposerView();
const field = new PictureField();
const view = new StageView();
const happened = new Happened(new HappenedPanel(), () => performance.now());

const settings = await loadSettings(() => view.setStatus("No connection to the service. Trying again…"));
view.setStatus("");
for (const sentence of document.querySelectorAll<HTMLElement>(".stand-in")) sentence.hidden = !settings.is_stand_in;

const source = sourceOf(settings);
const client = valetkey({
  baseUrl: "",
  getToken: async (request) => {
    const token = await source.getToken(request);
    happened.token(token);
    return token;
  },
  fetch: connection.fetch,
  longestWaitSecs: LONGEST_WAIT_SECS,
});
const wallet = new Wallet(client, composer);
const creator = new Creator(client, () => wallet.offer(), backOnline, () => navigator.onLine);
const stage = new Stage({ client, creator, connection, person, view, composer, field });
const gallery = new Gallery(client, person, new GalleryView(), new Tabs(), source.mayHavePictures);

connection.onCreate = (request) => happened.sent(request);
composer.onCreate(() => {
  const { prompt, aspectRatio } = composer;
  if (prompt === "") composer.setPromptError(problemText({ code: "empty_prompt" }));
  else void stage.create({ prompt, aspectRatio, picture: field.file });
});
composer.onCancel(() => void stage.cancel());
// The empty frame takes the chosen shape. A picture keeps its own.
composer.onShape(() => stage.preview(composer.aspectRatio));
stage.onCreated = (jobId) => happened.created(jobId);
stage.onSeen = (prediction) => {
  happened.seen(prediction);
  gallery.see(prediction);
};
stage.onEnded = () => void wallet.refresh();
stage.onFailed = () => void gallery.refresh();
stage.onShown = (jobId) => gallery.mark(jobId);
stage.onRetry = (order) => void stage.create({ ...order, picture: undefined });
stage.onReuse = (order) => composer.fill(order);
gallery.onSelect = (prediction) => void stage.show(prediction);
gallery.onRemoved = (jobId) => stage.clear(jobId);

if (!source.waits) await start();

async function start(): Promise<void> {
  void wallet.refresh();
  const running = await gallery.restart();
  if (running !== undefined && stage.isFree) void stage.show(running);
}

/** Returns the way to tokens that the deployment has chosen. */
function sourceOf({ session_url: url, turnstile_site_key: siteKey }: Settings): Source {
  if (url !== null) return { getToken: sessionTokens(url, () => person.subject()), mayHavePictures: () => person.isKnown, waits: false };
  if (siteKey !== null) return guestSource(siteKey);
  const pasted = new PastedToken();
  new TokenForm(pasted, () => {
    wallet.forget();
    void start();
  });
  return { getToken: pasted.getToken, mayHavePictures: () => pasted.isThere, waits: true };
}

function guestSource(siteKey: string): Source {
  element("guest", HTMLElement).hidden = false;
  let guests = 0;
  const getToken = guestTokens(siteKey, element("guest-widget", HTMLElement), () => {
    guests += 1;
    if (guests === 1) return;
    // The token of the guest before has expired. Nobody can read those pictures any more.
    element("guest-renewed", HTMLElement).hidden = false;
    stage.goneCode = "guest_ended";
    void gallery.restart();
  });
  return { getToken, mayHavePictures: () => guests > 0, waits: false };
}
