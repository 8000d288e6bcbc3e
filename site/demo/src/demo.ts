// Entry point of the demo page: connects the form, the stage and the gallery to one client.
import { valetkey } from "../../../clients/web/src/index.ts";
import { ComposerView } from "./composer-view.ts";
import { backOnline, Connection } from "./connection.ts";
import { Creator } from "./creation.ts";
import { GalleryView } from "./gallery-view.ts";
import { Gallery } from "./gallery.ts";
import { problemText } from "./messages.ts";
import { Person } from "./person.ts";
import { PictureField } from "./picture-field.ts";
import { sessionTokens } from "./session.ts";
import { sessionUrl } from "./settings.ts";
import { StageView } from "./stage-view.ts";
import { Stage } from "./stage.ts";
import { Tabs } from "./tabs.ts";

/** A longer `Retry-After` is shown to the user instead of waited for, seconds. */
const LONGEST_WAIT_SECS = 30;

const person = new Person(() => localStorage);
const connection = new Connection();
const client = valetkey({
  baseUrl: "",
  getToken: sessionTokens(sessionUrl(), () => person.subject()),
  fetch: connection.fetch,
  longestWaitSecs: LONGEST_WAIT_SECS,
});
const composer = new ComposerView();
const field = new PictureField();
const view = new StageView();
const creator = new Creator(client, backOnline, () => navigator.onLine);
const stage = new Stage({ client, creator, connection, person, view, composer, field });
const gallery = new Gallery(client, person, new GalleryView(), new Tabs());

composer.onCreate(() => {
  const { prompt, aspectRatio } = composer;
  if (prompt === "") composer.setPromptError(problemText({ code: "empty_prompt" }));
  else void stage.create({ prompt, aspectRatio, picture: field.file });
});
composer.onCancel(() => void stage.cancel());
// The empty frame takes the chosen shape. A picture keeps its own.
composer.onShape(() => stage.preview(composer.aspectRatio));
stage.onSeen = (prediction) => gallery.see(prediction);
stage.onFailed = () => void gallery.refresh();
stage.onShown = (jobId) => gallery.mark(jobId);
gallery.onSelect = (prediction) => void stage.show(prediction);
gallery.onRemoved = (jobId) => stage.clear(jobId);

const running = await gallery.start();
if (running !== undefined && stage.isFree) void stage.show(running);
