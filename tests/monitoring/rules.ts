/** The rules in `manifests/prometheus/` and their cases in `rules/`, as data. */
import { parse } from "yaml";
import { ROOT } from "../agent/agent.ts";

export const RULES_FILE = `${ROOT}/manifests/prometheus/kpod-metrics.rules.yaml`;
/** The same rules as an object for the Prometheus operator. */
export const OPERATOR_FILE = `${ROOT}/manifests/prometheus-operator/rules/prometheus-rule.yaml`;
const CASES_DIRECTORY = `${ROOT}/tests/monitoring/rules`;

/** One rule: it has either `record` or `alert`. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What of a file for `promtool test rules` tells what its cases are about. */
export interface Cases {
  readonly rule_files: readonly string[];
  readonly tests: readonly {
    readonly promql_expr_test?: readonly {
      readonly expr: string;
      readonly exp_samples: readonly { readonly labels: string }[];
    }[];
    readonly alert_rule_test?: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly unknown[];
    }[];
  }[];
}

export function readRules(): Rule[] {
  const { groups } = parse(Deno.readTextFileSync(RULES_FILE)) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** The case files' paths. */
export function caseFiles(): string[] {
  return [...Deno.readDirSync(CASES_DIRECTORY)].map(({ name }) => `${CASES_DIRECTORY}/${name}`).sort();
}

export function readCases(): Cases[] {
  return caseFiles().map((path) => parse(Deno.readTextFileSync(path)) as Cases);
}

const OPERATOR_HEAD =
  `# The rules of ../../prometheus/kpod-metrics.rules.yaml, where they are explained, for the Prometheus Operator:
#
#   kubectl apply -f manifests/prometheus-operator/rules/
#
# The operator takes those that the Prometheus' ruleSelector and ruleNamespaceSelector select: many an installation asks
# for a label of its own here, such as \`release: prometheus\`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kpod-metrics
  namespace: kpod-metrics
  labels:
    app.kubernetes.io/name: kpod-metrics
spec:
`;

/** The operator's object of a rule file: the file's groups are its spec. */
export function operatorObject(rules: string): string {
  const groups = rules.slice(rules.search(/^groups:$/m));
  return OPERATOR_HEAD + groups.replace(/^(?=.)/gm, "  ");
}

/** The rules with every range and offset cut to `range`, for a Prometheus that has not run for long. */
export function withRange(rules: string, range: string): string {
  return rules.replace(/\[\d+[smhd]\]/g, `[${range}]`).replace(/ offset \d+[smhd]/g, ` offset ${range}`);
}

/** An expression without comparisons with numbers: what an alert looks at, whatever its value. */
export function withoutBounds(expression: string): string {
  return expression.replace(/\s*(?:[<>]=?|[=!]=)\s*-?\d+(?:\.\d+)?(?=\s|\)|$)/g, "");
}

/** What an expression selects: its metrics with their label matchers, ranges and offsets left out. */
export function selectorsOf(expression: string): string[] {
  const names = /(?<![\w:"])(?:[a-z_]+:)?(?:kpod|kube)_\w+(?::\w+)?(?:\{[^}]*\})?|\bup\b(?:\{[^}]*\})?/g;
  return [...new Set(expression.match(names) ?? [])];
}
