

trigonometryserving_default;
x6"(έμΎχX?”£Z>{ΝΎ}ΛW>Επ'?XB?y?όξU?ζ]>