# What lme4, lmerTest and multcomp say about the frames beside this script; prints JSON.
# Usage: Rscript oracle.R > record.json
# A row without a model (a control) has no effect of it: the random slope of `has_model`, which is 0 there and 1 elsewhere.
suppressPackageStartupMessages({
  library(lme4); library(lmerTest); library(multcomp); library(jsonlite)
})
folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
formulas <- list(
  one = score ~ 0 + method + (1 | image),
  two = score ~ 0 + method + (1 | image) + (0 + has_model | model),
  three = score ~ 0 + method + (1 | image) + (0 + has_model | model) + (0 + has_model | method:model)
)
exact <- lmerControl(
  optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5), check.conv.singular = "ignore",
  check.conv.grad = "ignore", check.conv.hess = "ignore"
)

describe <- function(file) {
  frame <- read.csv(file, na.strings = "")
  frame$method <- factor(frame$method, levels = unique(frame$method))
  networks <- "model" %in% names(frame)
  if (networks) {
    frame$has_model <- as.numeric(!is.na(frame$model))
    frame$model[is.na(frame$model)] <- "none"
  }
  kind <- if (!networks) "one" else if (grepl("interaction", file)) "three" else "two"
  model <- lmer(formulas[[kind]], frame, REML = TRUE, control = exact)
  levels <- levels(frame$method)
  pairs <- combn(length(levels), 2)
  K <- t(apply(pairs, 2, function(pair) replace(numeric(length(levels)), pair, c(1, -1))))
  colnames(K) <- names(fixef(model))
  rownames(K) <- apply(pairs, 2, function(pair) paste(levels[pair], collapse = " - "))
  satterthwaite <- contest(model, K, joint = FALSE)
  whole <- as.integer(nobs(model) - rankMatrix(cbind(getME(model, "X"), as.matrix(getME(model, "Z")))))
  tukey <- function(df) {
    set.seed(1)
    family <- glht(model, linfct = K, df = df)
    as.numeric(summary(family, test = adjusted("single-step", maxpts = 5e4, abseps = 1e-4))$test$pvalues)
  }
  variances <- as.data.frame(VarCorr(model))
  list(
    means = as.numeric(fixef(model)),
    covariance = as.matrix(vcov(model)),
    variances = setNames(as.list(variances$vcov), tolower(sub("[.][0-9]+$", "", variances$grp))),
    log_likelihood = as.numeric(logLik(model)),
    singular = isSingular(model, tol = 1e-5),
    pairs = rownames(K),
    estimate = satterthwaite$Estimate,
    se = satterthwaite[["Std. Error"]],
    df = satterthwaite$df,
    p = satterthwaite[["Pr(>|t|)"]],
    whole_df = whole,
    tukey_t = tukey(whole),
    tukey_z = tukey(0)
  )
}

files <- sort(list.files(folder, pattern = "[.]csv$", full.names = TRUE))
record <- lapply(setNames(files, sub("[.]csv$", "", basename(files))), describe)
versions <- sapply(c("lme4", "lmerTest", "multcomp", "mvtnorm"), function(p) as.character(packageVersion(p)))
cat(toJSON(list(versions = as.list(c(R = as.character(getRversion()), versions)), frames = record),
  auto_unbox = TRUE, digits = NA, pretty = TRUE
))
