// docs/openapi.json describes every deployment, but the valid input depends on a deployment's policy and issuers. This
// narrows the document to one deployment, so that its Worker must accept what the document allows, and refuse the rest.
import { MODEL, PAUSED_MODEL, RULES } from "./deployment.mjs";

/** Tokens issued up to this time may be revoked, in Unix seconds (2001). The test's own are issued later. */
export const REVOCABLE_UNTIL = 1_000_000_000;

/** How long a user's own limits count: a part of the 30 days that they may. */
const OWN_LIMITS_MS = 86_400_000;

/** Returns `document` narrowed to the Worker at `origin`, where `subjectToken`, from `issuer`, may be exchanged. */
export function narrow(document, { origin, issuer, subjectToken }) {
  const narrowed = structuredClone(document);
  const { parameters, schemas, responses } = narrowed.components;
  parameters.Owner.schema.const = MODEL.owner;
  parameters.Model.schema.const = MODEL.name;
  // Creates that wait for a terminal prediction would take most of the time.
  parameters.Prefer.example = "wait=0";
  narrowCreates(schemas);
  narrowTokens(schemas, origin, subjectToken);
  // A DPoP proof is valid once, so the document cannot contain one.
  const exchange = narrowed.paths["/auth/token"].post;
  exchange.parameters = exchange.parameters.filter(({ $ref }) => $ref !== "#/components/parameters/DPoP");
  narrowExamples(exchange, { subject_token: subjectToken });
  narrowOperators(narrowed, issuer);
  for (const response of Object.values(responses)) narrowCodes(response, narrowed.components);
  return narrowed;
}

/** Replaces the issuers and tokens in the document's examples by those of this deployment. */
function narrowExamples({ requestBody }, own) {
  for (const { examples } of Object.values(requestBody.content)) {
    for (const { value } of Object.values(examples)) {
      for (const name of Object.keys(own).filter((name) => name in value)) value[name] = own[name];
    }
  }
}

function narrowCreates({ CreateRequest, NamedCreateRequest }) {
  const id = `${MODEL.owner}/${MODEL.name}`;
  for (const { properties } of [CreateRequest, NamedCreateRequest]) {
    properties.input = inputSchema(RULES.input);
    properties.image_count.maximum = RULES.max_image_count;
    properties.provider = { const: MODEL.owner };
  }
  CreateRequest.properties.model = { enum: [id, MODEL.name] };
  NamedCreateRequest.properties.model = { const: id };
}

/** Converts input rules to JSON Schema. */
function inputSchema(rules) {
  const properties = Object.fromEntries(
    Object.entries(rules).map(([name, rule]) => {
      const { type, enum: choices, min, max, max_length } = rule;
      // Every rule refuses a string that contains U+0000.
      const pattern = type === "string" && choices === undefined ? "^[^\\u0000]*$" : undefined;
      const schema = { type, enum: choices, minimum: min, maximum: max, maxLength: max_length, pattern };
      return [name, Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined))];
    }),
  );
  const required = Object.keys(rules).filter((name) => rules[name].required);
  return { type: "object", properties, required, additionalProperties: false };
}

function narrowTokens({ TokenRequest }, origin, subjectToken) {
  const { properties, required } = TokenRequest;
  properties.subject_token = { const: subjectToken };
  // Guests are off: the settings have no Turnstile secret.
  properties.subject_token_type.enum = properties.subject_token_type.enum.filter((type) => !type.endsWith(":turnstile"));
  properties.audience = { const: origin };
  properties.resource = { const: origin };
  properties.models = { const: `${MODEL.owner}/${MODEL.name}` };
  // RFC 6749 section 3.2: a parameter without a value is treated as omitted.
  for (const name of Object.keys(properties).filter((name) => !required.includes(name))) {
    properties[name] = { anyOf: [properties[name], { const: "" }] };
  }
}

function narrowOperators({ paths, components: { parameters, schemas } }, issuer) {
  narrowRevocations(schemas, issuer);
  narrowExamples(paths["/admin/api/revocations"].post, { issuer, issued_by: REVOCABLE_UNTIL });
  schemas.UserName.properties.issuer = { const: issuer };
  narrowExamples(paths["/admin/api/users/lookup"].post, { issuer });
  // A schema knows no present time. An export shows whole seconds.
  const end = new Date(Date.now() + OWN_LIMITS_MS).toISOString().replace(/\.\d+Z$/, "Z");
  schemas.OwnLimits.properties.expires_at = { const: end };
  narrowExamples(paths["/admin/api/users/{user}/override"].put, { expires_at: end });
  // A pause of all models would end the run's creates. tests/api/pauses.rs has those.
  const pause = paths["/admin/api/pause"].post;
  schemas.PauseRequest.properties.model = { const: PAUSED_MODEL };
  schemas.PauseRequest.required.push("model");
  narrowExamples(pause, { model: PAUSED_MODEL });
  const { examples } = pause.requestBody.content["application/json"];
  for (const name of Object.keys(examples).filter((name) => examples[name].value.model === undefined)) delete examples[name];
  // Nobody but the deployment can make a cursor. This one begins before all groups: base64url of [0,"","",""].
  parameters.SpendCursor.schema = { const: Buffer.from(JSON.stringify([0, "", "", ""])).toString("base64url") };
}

function narrowRevocations({ Revocation }, issuer) {
  const [ofUser, ofEverybody] = Revocation.oneOf;
  ofUser.properties.issuer = { const: issuer };
  ofEverybody.properties.issued_by.maximum = REVOCABLE_UNTIL;
}

/** Restricts the code of an error response to the codes of its examples. */
function narrowCodes(response, { examples, schemas }) {
  const content = response.content["application/json"];
  if (content.schema.$ref !== "#/components/schemas/Error") return;
  content.schema = structuredClone(schemas.Error);
  const shown = Object.values(content.examples).map(({ $ref }) => examples[$ref.split("/").pop()].value);
  content.schema.properties.error.properties.code = { enum: [...new Set(shown.map(({ error }) => error.code))] };
}
