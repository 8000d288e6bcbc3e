// The document serves every deployment; what is good input depends on the deployment's policy and issuers. This narrows it to
// one of them, so that input by the document is input that this Worker must take, and anything else is not.
import { MODEL, RULES } from "./deployment.mjs";

/** Tokens that were issued by then may be revoked: long ago, so that none of the test's is among them. */
export const REVOCABLE_UNTIL = 1_000_000_000;

/** `document` for the Worker at `origin` with `deployment`'s settings; `subjectToken` may be exchanged there. */
export function narrow(document, { origin, issuer, subjectToken }) {
  const narrowed = structuredClone(document);
  const { parameters, schemas, responses } = narrowed.components;
  parameters.Owner.schema.const = MODEL.owner;
  parameters.Model.schema.const = MODEL.name;
  // Creates that are held until the end would take most of the time.
  parameters.Prefer.example = "wait=0";
  narrowCreates(schemas);
  narrowTokens(schemas, origin, subjectToken);
  // A proof counts once, so that a document can hold none.
  const exchange = narrowed.paths["/auth/token"].post;
  exchange.parameters = exchange.parameters.filter(({ $ref }) => $ref !== "#/components/parameters/DPoP");
  narrowRevocations(schemas, issuer);
  narrowExamples(exchange, { subject_token: subjectToken });
  narrowExamples(narrowed.paths["/admin/api/revocations"].post, { issuer, issued_by: REVOCABLE_UNTIL });
  for (const response of Object.values(responses)) narrowCodes(response, narrowed.components);
  return narrowed;
}

/** Issuers and tokens of the document are none of this deployment's. */
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

/** Input rules as JSON Schema says them. */
function inputSchema(rules) {
  const properties = Object.fromEntries(
    Object.entries(rules).map(([name, rule]) => {
      const { type, enum: choices, min, max, max_length } = rule;
      // A string that holds U+0000 is refused by every rule.
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
  // Guests are off: the settings name no Turnstile secret.
  properties.subject_token_type.enum = properties.subject_token_type.enum.filter((type) => !type.endsWith(":turnstile"));
  properties.audience = { const: origin };
  properties.resource = { const: origin };
  properties.models = { const: `${MODEL.owner}/${MODEL.name}` };
  // RFC 6749 section 3.2: without a value it counts as left out.
  for (const name of Object.keys(properties).filter((name) => !required.includes(name))) {
    properties[name] = { anyOf: [properties[name], { const: "" }] };
  }
}

function narrowRevocations({ Revocation }, issuer) {
  const [ofUser, ofEverybody] = Revocation.oneOf;
  ofUser.properties.issuer = { const: issuer };
  ofEverybody.properties.issued_by.maximum = REVOCABLE_UNTIL;
}

/** An error answer has one of the codes of its examples. */
function narrowCodes(response, { examples, schemas }) {
  const content = response.content["application/json"];
  if (content.schema.$ref !== "#/components/schemas/Error") return;
  content.schema = structuredClone(schemas.Error);
  const shown = Object.values(content.examples).map(({ $ref }) => examples[$ref.split("/").pop()].value);
  content.schema.properties.error.properties.code = { enum: [...new Set(shown.map(({ error }) => error.code))] };
}
