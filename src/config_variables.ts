/** The agent's environment variables: the one list that the schema, the help and the report are made from. */

import { isIP, isIPv6 } from "node:net";
import type { z } from "zod";
import * as field from "./config_fields.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./log.ts";
import { COLLECTORS, PROFILE_NAMES } from "./profiles.ts";
import { type Architecture, SYSCALL_NAMES } from "./syscalls.ts";
