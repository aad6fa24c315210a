/** The agent's version, that of deno.json. */
import settings from "../deno.json" with { type: "json" };

export const VERSION: string = settings.version;
