// Main entry of the package. Other entries: `valetkey/exchange` (token exchange) and `valetkey/react` (React hook).
export { valetkey } from "./client.ts";
export type { Client, CreateOptions, WaitOptions } from "./client.ts";
export { proofKey } from "./dpop.ts";
export type { ProofKey } from "./dpop.ts";
export { ValetkeyError } from "./errors.ts";
export type { Advice, ClientErrorCode, Code, ErrorDetails } from "./errors.ts";
export { hasEnded } from "./events.ts";
export type { Files, ListOptions, Pages, UploadOptions } from "./files.ts";
// `export *`, because TypeScript merges a declaration of an app only into what a module exports this way.
export type * from "./models.ts";
export type { GetToken, TokenRequest } from "./token.ts";
export type { CallOptions, Fetch, Options, Result } from "./transport.ts";
export type {
  Account, Balance, Batch, ErrorCode, Estimate, File as StoredFile, FileList as StoredFileList, InputRule, Model, ModelList, Prediction,
  PredictionErrorCode, PredictionList, PredictionStatus, RateLimits, Usage,
} from "./schema.ts";
